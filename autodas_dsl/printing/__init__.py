"""Formulas for people: LaTeX, Unicode, MathML, trees and graphs, from the facts in the operator table."""
