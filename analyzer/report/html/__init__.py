"""Records -> one self-contained HTML page.

view gathers what the page says, data is what its script reads, ladder, matrix and timeline place what
is drawn; page.html, page.css and page.js are the page itself.
"""
