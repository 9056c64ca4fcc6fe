"""What machines download: packages and container images, and the server that has them."""
