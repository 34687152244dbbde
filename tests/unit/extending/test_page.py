"""The page counts its own files and pieces of code."""

import re
from typing import Any


def test_the_files_are_as_many_as_the_page_says(page: Any) -> None:
    counted = re.findall(r"^\| \[.*?\]\(#([\w-]+)\) \| (\d) \| (\d) \|$", page.text, re.M)
    assert len(counted) == 6
    for anchor, new, changed in counted:
        files = {block.file for block in page.blocks(anchor.replace("-", " ").capitalize())}
        there = {file for file in files if page.is_there(file)}
        assert (len(files - there), len(there)) == (int(new), int(changed)), anchor


def test_every_piece_of_code_belongs_to_a_recipe(page: Any) -> None:
    sections = re.findall(r"^\| \[.*?\]\(#([\w-]+)\) \|", page.text, re.M)
    of_recipes = sum(len(page.blocks(anchor.replace("-", " ").capitalize())) for anchor in sections)
    assert of_recipes == len(re.findall(r"^```\w+$", page.text, re.M)) == 13
