"""What is compared: anything that restores a JPEG, behind one small protocol."""

from ced.methods.method import KINDS, Damaged, Failed, Method, Request, checked, find, parse, split, takes_colours

__all__ = ["KINDS", "Damaged", "Failed", "Method", "Request", "checked", "find", "parse", "split", "takes_colours"]
