# SPDX-License-Identifier: GPL-2.0-only
"""What campaigns are worth: what they lose when they are killed, what they find, what they cost."""
