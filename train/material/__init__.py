"""What is learned from: files of pictures, and the pairs of planes that come of them."""
