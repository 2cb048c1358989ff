"""Where networks come from: files, libraries and spaces, built when they are needed."""
