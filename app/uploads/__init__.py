"""Files that visitors of the page brought: kept in a folder of the home that only its owner can read.

`names` makes a name of what a browser says, `store` keeps the files. Whoever wants them calls
`app.facade.collections`.
"""
