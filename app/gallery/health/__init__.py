"""How sound a gallery is: people enrolled twice, faces misfiled, its own error rates, drift."""
