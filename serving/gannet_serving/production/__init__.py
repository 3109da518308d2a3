"""TensorFlow Serving itself: what it is told, from one file that is checked."""
