"""The form of records without what they say: what a tenant can send to others so that its records are read rightly."""
