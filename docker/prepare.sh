#!/bin/sh
# What the full profile needs in secrets/: a certificate for NAME that signed itself, for trying out
# (put a real one in its place), and Grafana's first password. What is there already is kept.
#   ./prepare.sh [NAME]
set -eu
cd "$(dirname "$0")"
name=${1:-localhost}

# Containers run as other users than you, so the files can be read by all, and only you enter the folder.
mkdir -p secrets
chmod 700 secrets
umask 022

if [ ! -e secrets/tls.pem ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
        -subj "/CN=$name" -addext "subjectAltName=DNS:$name" \
        -keyout "$work/key.pem" -out "$work/certificate.pem" 2>/dev/null
    cat "$work/certificate.pem" "$work/key.pem" > secrets/tls.pem
    echo "made secrets/tls.pem for $name"
fi

if [ ! -e secrets/grafana ]; then
    openssl rand -base64 24 | tr -d '\n' > secrets/grafana
    echo "made secrets/grafana, the password of Grafana's user admin"
fi
