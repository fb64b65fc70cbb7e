# SPDX-License-Identifier: GPL-2.0-only
"""Files that come from outside: what may be read, whether it is a program, what its notes may say.

Whatever is read here is data.  Programs are mailed and come in pull requests: opening one runs
nothing but the models, whatever the file says (SECURITY.md).
"""
