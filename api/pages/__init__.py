"""The pages: server-rendered, over the same guards, commands and queries as the JSON API.

To add a page, write a module with `add_to(site: Site)` and call it in `api/pages/all.py`:

- `site.get(rule, endpoint, guard, view)` and `site.post(...)`; a guard is one of `api/guards.py`,
  a view takes the `Visit` (its caller comes from the browser's session, judged by the streams)
  and answers `Page("file.html", refusal=None, wrong=None, **values)`,
  `Page.elsewhere(address, "What was done")` or a Response. Refusals that a view lets through
  become the page of their status. CSRF, origin, sign-in, headers and language are seen to.
- `site.menu(endpoint, lazy_gettext("Words"), "owner")` puts it into the menu of those roles.
- Templates extend `layout.html` (blocks `title`, `main`; `{% set wide = true %}` for tables) and
  have one h1. Forms begin with `{{ csrf_field() }}` and carry `novalidate` where the server says
  what is wrong: `wrong` maps a field's id to words, shown at the field and in the summary, and
  `refusal` is said in words too. `{% from "parts.html" import code_field %}` has the fields.
- Filters: `when` (a <time>, UTC, made local by the script), `both_times`, `rfc3339`.
- Every text goes through `_()`, in both languages (`api/translations/`).
- Codes that people type go through `api/pages/typed.py` first; the API forgives nothing.
"""
