"""Evidence for auditors: which subscription meets which requirement, why not, and what that was judged from."""
