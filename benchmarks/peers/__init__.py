"""Servers that a user could pick instead, each as its documentation would have it, to be measured beside ours."""
