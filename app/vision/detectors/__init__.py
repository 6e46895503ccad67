"""One file for each detector family; `app.vision.detect` knows them by name."""
