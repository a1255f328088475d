#!/bin/sh
# Makes the certificates of the tests anew (needs openssl 3). They are good for nothing else: the keys are public.
# The authorities' own keys are thrown away, so all files are always made together.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Valid from 2020 for a century, so that a machine with a wrong clock passes the tests too.
FROM=20200101000000Z
UNTIL=21200101000000Z
LOCAL='DNS.1=localhost\nIP.1=127.0.0.1\nIP.2=::1'

key() { # name
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

sign() { # name, common name, serial, extensions, until, options of "openssl ca"
  mkdir "$work/$1.d" && : > "$work/$1.d/index.txt" && echo "$3" > "$work/$1.d/serial"
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index.txt\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\n[p]\norganizationName=supplied\ncommonName=supplied\n' \
    "$work/$1.d" "$work/$1.d" "$work/$1.d" > "$work/$1.cnf"
  printf "$4" > "$work/$1.ext"
  name=$1 common=$2 until=$5
  shift 5
  openssl req -new -key "$key" -subj "/O=Bowline tests/CN=$common" -out "$work/$name.csr"
  openssl ca -batch -notext -config "$work/$name.cnf" -extfile "$work/$name.ext" -startdate $FROM -enddate "$until" \
    -in "$work/$name.csr" -out "$name.crt" "$@"
}

authority() { # name, common name
  key=$work/$1.key
  key "$key"
  sign "$1" "$2" 01 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n' $UNTIL -selfsign -keyfile "$key"
}

issue() { # authority, name, common name, serial, subject alternative names, extended key usage, until
  key=$2.key
  key "$key"
  sign "$2" "$3" "$4" "subjectAltName=@names\nextendedKeyUsage=$6\nbasicConstraints=CA:FALSE\n[names]\n$5\n" "${7:-$UNTIL}" \
    -cert "$1.crt" -keyfile "$work/$1.key"
}

rm -f ./*.crt ./*.key
authority authority "Test authority"
authority other-authority "Another authority"
issue authority server localhost 1001 "$LOCAL" serverAuth
issue authority server-next localhost 1002 "$LOCAL" serverAuth
issue authority server-elsewhere other.internal 1003 'DNS.1=other.internal' serverAuth
issue other-authority server-untrusted localhost 1004 "$LOCAL" serverAuth
issue authority server-expired localhost 1005 "$LOCAL" serverAuth 20200102000000Z
issue authority client user 2001 'DNS.1=user.internal\nURI.1=spiffe://shop/user' clientAuth
issue other-authority client-untrusted user 2002 'URI.1=spiffe://shop/user' clientAuth
# A name that would read as two if Node did not quote it.
issue authority client-odd odd 2003 'URI.1=spiffe://shop/odd\\, DNS:admin.internal\nDNS.1=odd.internal' clientAuth

# Signed by itself.
key=server-alone.key
key "$key"
sign server-alone localhost 3001 "subjectAltName=@names\n[names]\n$LOCAL\n" $UNTIL -selfsign -keyfile "$key"

# The server's key again, behind the passphrase "bowline".
openssl pkcs8 -topk8 -in server.key -passout pass:bowline -out server-encrypted.key
chmod 644 ./*.key
