"""Networks written as ONNX graphs of our own, from weights that others have published."""
