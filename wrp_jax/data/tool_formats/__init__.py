"""What annotation tools export, read as frames with labels: one module each, ``recognise``, which
tells them apart by their content, and ``import_project``, which writes them as folders.
"""
