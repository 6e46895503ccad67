"""Whether the service in this container is ready to answer: the exit status says it."""

import os
import sys
from http.client import HTTPConnection

try:
    connection = HTTPConnection("127.0.0.1", int(os.environ.get("NORMA_PORT", "8000")), timeout=4)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
except OSError as error:
    sys.exit(f"no answer: {error}")
sys.exit(0 if answer.status == 200 else f"{answer.status}: {answer.read(500).decode()}")
