"""The end of the question is not the end of the conversation: sort(1) answers only behind it."""

import lab

lab.private()
with lab.service("localhost:7007", "--", "sort", lines=2):
    lab.show(r"printf 'pear\napple\n' | portico dial localhost 7007")
