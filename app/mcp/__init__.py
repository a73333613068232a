"""Collections for agents, by the Model Context Protocol: tools that search and read, documents as resources.

`app.mcp.server` makes the server, `app.mcp.stdio` and `app.mcp.http` are its transports; `app.mcp.tools` says
what there is to call, `app.mcp.running` does it. What documents say is handed on as data, in fields of its
own; no sentence of ours stands in it.
"""
