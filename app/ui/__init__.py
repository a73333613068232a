"""The search page. Streamlit is imported here and nowhere else."""
