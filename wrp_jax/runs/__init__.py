"""What a workdir of ``train.py`` holds, and how it is read back."""
