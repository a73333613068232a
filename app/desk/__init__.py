"""What the pages ask, of this machine or of a service: one closed table of functions, the same for both.

    desk.ask(searching.answer, name, request, facets)      # a page, whatever desk it stands at

Each function takes a `Visit` first: who asks, and where; what else it takes and gives is told in JSON by the
declared types (`codec`). On this machine it is called; by a service it is called there (`app.remote`, and
`app.api.routes.page`), and who asks is told by the key.

    searching   questions, answers, what is said of them, the files they are from
    keeping     collections: made, filled, looked at, deleted
    working     jobs
    measuring   reports and judged questions
    improving   learning, trials, what is live
    entering    who one is, and keys of people who signed in
"""
