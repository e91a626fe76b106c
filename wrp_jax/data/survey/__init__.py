"""What lies in a folder, found out by looking at it: pictures, labels, and what is wrong there."""
