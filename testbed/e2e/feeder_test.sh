#!/bin/bash
# The program that speaks HTTP for the daemon: what it takes from a server that misbehaves, and what it
# can reach of the machine. Servers listen on loopback, on ports that the kernel chose.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
BUILD=${BUILD:-$PWD/build}
D=$(mktemp -d /tmp/assay-feeder.XXXXXX)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" 2>/dev/null; }; rm -rf "$D"' EXIT
failures=0

# feeds STATUS PATTERN WORDS URL [CA]: its exit status, and what it says.
feeds() {
	local wanted=$1 pattern=$2 words=$3 rc=0
	shift 3
	printf body | env -i "$BUILD/assay-feeder" "$1" text/plain "${ms:-3000}" "${@:2}" >"$D/out" 2>&1 || rc=$?
	if [ $rc -eq "$wanted" ] && grep -qE -- "$pattern" "$D/out"; then
		echo "ok $words"
	else
		echo "not ok $words (status $rc)"
		head -c 300 "$D/out"
		failures=$((failures + 1))
	fi
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost -keyout "$D/key.pem" -out "$D/ca.pem" 2>/dev/null
cat >"$D/server.py" <<'PY'
import http.server, os, ssl, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/slow":
            time.sleep(30)
        self.send_response({"/moved": 302, "/conflict": 409}.get(self.path, 200))
        answer = b"x" * 200000 if self.path == "/large" else b"got " + body + b"\n"
        if self.path == "/moved":
            self.send_header("Location", "/elsewhere")
        if self.path == "/endless":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            except OSError:
                self.close_connection = True
                return
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *a):
        pass
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
for s in servers:
    s.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + "/ca.pem", sys.argv[1] + "/key.pem")
servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True)
for s in servers:
    threading.Thread(target=s.serve_forever, daemon=True).start()
with open(sys.argv[1] + "/ports.tmp", "w") as f:
    print(*(s.server_address[1] for s in servers), file=f)
os.rename(sys.argv[1] + "/ports.tmp", sys.argv[1] + "/ports")
threading.Event().wait()
PY
python3 "$D/server.py" "$D" 2>/dev/null &
server=$!
for _ in $(seq 200); do [ -e "$D/ports" ] || sleep 0.05; done
read -r plain tls <"$D/ports"

feeds 0 "^got body" "the body gets there, and the answer back" "http://127.0.0.1:$plain/"
feeds 0 "^409" "a refusal is an answer" "http://127.0.0.1:$plain/conflict"
feeds 0 "^302" "a redirection is not followed" "http://127.0.0.1:$plain/moved"
feeds 1 "exceeded|too large|[Ff]ail" "a large answer is none" "http://127.0.0.1:$plain/large"
feeds 1 "http://127.0.0.1" "nor one without an end" "http://127.0.0.1:$plain/endless"
ms=300 feeds 1 "timed out" "nor a late one" "http://127.0.0.1:$plain/slow"
feeds 0 "^got body" "TLS is spoken with a certificate that leads to the CA given" "https://localhost:$tls/" "$D/ca.pem"
feeds 1 "certificate" "and not without that CA" "https://localhost:$tls/"
feeds 1 "does not match|no alternative" "nor with another host's certificate" "https://127.0.0.1:$tls/" "$D/ca.pem"
feeds 1 "not supported or disabled" "files are no servers" "file:///etc/passwd"
feeds 1 "not supported or disabled" "nor are mail servers" "smtp://127.0.0.1:$plain/"
feeds 1 "setting certificate file" "a CA file that is not there is no reason to take all" "https://localhost:$tls/" "$D/none.pem"

feeds 2 "usage" "no more than one file is named" "http://127.0.0.1:$plain/" "$D/ca.pem" more
exit $((failures > 0))
