"""Where samples come from: files, folders of images, noise, and what Python hands over."""
