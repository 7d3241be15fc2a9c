"""What a study says of itself: status, report, tables. Nothing here changes one.

`status` has the one summary that every place shows, `status_lines` says it in words. `report` renders what
`report_data` and `report_people` fill in, with `charts`, and `trace` for how the belief moved. `annotators` and
`annotator_views` tell of people, `routing` and `routing_view` of the router; `labels`, `exports` and `prompt_exports`
leave as tables.
"""
