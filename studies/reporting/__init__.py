"""What a study says of itself: status, report, tables. Nothing here changes one."""
