"""What should be exported: export files, their rule sets, linter, compiler and store."""
