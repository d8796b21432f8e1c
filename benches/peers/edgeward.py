"""Edgeward, with access log and metrics on, as it is run in earnest: `BENCH_PEERS=benches/peers` for the harness."""
import subprocess

BIN = "edgeward"


def version(binary):
    out = subprocess.run([binary, "version"], capture_output=True, text=True).stdout
    return out.splitlines()[0]


def start(b, sc):
    tls = ""
    if sc.tls:
        # Every handshake a full one, as for the other peers.
        protocols = "[h2]" if sc.h2 else "[http/1.1]"
        tls = f"\n    tls: {{ certificates: [{{ cert: {b.cert}, key: {b.key} }}], tickets: {{ mode: off }}, protocols: {protocols} }}"
    filters = ""
    if sc.need == "ratelimit":
        key = 'http.request.headers["x-api-key"][0]'
        filters = f"\n    filters: [{{ rate_limit: {{ key: '{key}', limit: 100000/1s, headers: false }} }}]"
    if sc.need == "cache":
        filters = "\n    filters: [{ cache: { ttl: { '200': 1h } } }]"
    if sc.need == "waf":
        # As the others: the rules of Debian's package, at their first paranoia level.
        filters = "\n    filters: [{ waf: { rules: [crs] } }]"
    issuers = "waf: { crs: /usr/share/modsecurity-crs, crs_setup: /etc/modsecurity/crs/crs-setup.conf }" if sc.need == "waf" else ""
    if sc.need == "jwt":
        keys = f"secret: {{ file: {b.write('secret', b.secret)} }}" if sc.alg == "HS256" else f"jwks: {{ file: {b.jwks} }}"
        issuers = f"issuers:\n  bench: {{ issuer: bench, audience: api, algorithms: [{sc.alg}], {keys} }}"
        filters = "\n    filters: [{ jwt: { issuer: bench } }]"
    if sc.need == "routes":
        routes = "\n".join(
            f"  - {{ name: r{n}, match: {{ host: {host}, path: {prefix}** }}, upstream: origin }}"
            for n, (host, prefix) in enumerate(ROUTES))
    else:
        routes = f"  - name: all{filters}\n    upstream: origin"
    policy = b.write("policy.yaml", f"""
server: {{ workers: 1, runtime_directory: {b.dir}/run }}
access_log: {{ to: {b.dir}/access.log }}
admin: {{ address: "unix:{b.dir}/admin.sock" }}
limits: {{ idle_timeout: 600s, requests_per_connection: 4000000000 }}
listeners:
  - address: 127.0.0.1:{b.port}{tls}
upstreams:
  origin: {{ backends: ["127.0.0.1:{b.origin}"], timeouts: {{ idle: 600s }} }}
{issuers}
routes:
{routes}
""")
    return [b.bin, "run", policy]
