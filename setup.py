"""Where the packages of the wheel come from: the app's `shared` becomes a part of `defender_export`."""

from setuptools import find_packages, setup

setup(
    packages=["defender_export", *(f"defender_export.app.{name}" for name in find_packages(include=["shared*"]))],
    package_dir={"defender_export": "defender_export", "defender_export.app.shared": "shared"},
)
