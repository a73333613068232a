"""A classifier of few examples by SetFit, which trains the model and a head; saved and loaded again."""

import tempfile

from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
from texts import ALL, BREAD, MUSIC, QUESTIONS, SPACE

LABELS = ["bread", "space", "music"]


def run(model_folder, reranker_folder):
    rows = [
        (text, label)
        for label, texts in zip(LABELS, (BREAD, SPACE, MUSIC), strict=True)
        for text in texts[:3]
    ]
    model = SetFitModel.from_pretrained(model_folder, labels=LABELS, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            batch_size=4,
            num_epochs=1,
            max_steps=2,
            report_to="none",
            seed=1,
            show_progress_bar=False,
            save_strategy="no",
        )
        data = Dataset.from_dict({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
        trainer = Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data, metric=accuracy)
        trainer.train()
        measured = trainer.evaluate()
        model.save_pretrained(f"{folder}/saved")
        loaded = SetFitModel.from_pretrained(f"{folder}/saved", device="cpu")
        again = loaded.predict_proba(QUESTIONS).tolist()
    return {
        "body": type(model.model_body).__name__,
        "measured": measured,
        "labels": list(model.predict(ALL)),
        "probabilities": model.predict_proba(QUESTIONS).tolist(),
        "after loading": again,
        "embeddings": model.model_body.encode(QUESTIONS).tolist(),
    }


def accuracy(predicted, expected):
    return {"accuracy": sum(a == b for a, b in zip(predicted, expected, strict=True)) / len(expected)}
