#!/usr/bin/env python3
"""Ask the real clients and write their answers down: `python record.py`. Needs Go, a minute or two, and no AWS.

The keys are made by openssl, new ones each time.
"""

import base64
import json
import os
import random
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "clients.jsonl")
RANDOM = random.Random(13)

ENDPOINTS = [
    *("r.example.com", "docker.io", "https://Docker.io", "http://docker.io", "DOCKER.IO/", "https://docker.io/", ""),
    *("https://http://r.example.com", "http://https://r.example.com", "tcp://r.example.com", "HTTPS://r.example.com"),
    *("r.example.com:", "r.example.com:5000", "r.example.com/ü", "bücher.example", "BÜCHER.example", "r.example.com/<x>"),
    *("r.example.com<x>", "u:p@r.example.com", "u@r.example.com", "u:@r.example.com", "u%20x:p%40@r.example.com"),
    *("u:p:q@r.example.com", "@r.example.com", ":p@r.example.com", "r.example.com?x", "?x", "#f", "r.example.com#f"),
    *("r.example.com/a#f<ü>", "r.example.com?a=<ü> b", "r.example.com/a b", "r.example.com/%zz", "r.example.com/%2f"),
    *("r.example.com/%C3%BC/a|b^c`d{e}\\", "[::1]:5000", "[fe80::1%25eth0]", "[fe80::1%25eth0]:5", "r.example.com:0"),
    *("http://r.example.com:80", "http:r.example.com", "http:", "http:/", "http://", "https:", "http", "httpx://r"),
    *("http.example.com", "http.example.com:5000", "/", "//", "///x", "//quay.example.com", "a//b", "r.example.com///"),
    *("r.example.com/../x/./", "r.example.com/;a=b@c:[d]", "%41.example.com", "r%20x.example.com", "r.example.com?"),
    *("r_x.example.com", "-r.example.com", "r..example.com", "r.example.com.", "ſ.example", "xn--bcher-kva.example"),
    *("日本.example", "a b.example.com", "r.example.com:a", "::1", "a:b:c", "[1.2.3.4]", "r.example.com/\x7f", "*:5", "*"),
    *("r.example.com#%zz", "r.example.com#a b", "r.example.com#é%C3", "http+unix://x/y", "hİ.example", "K.example"),
    *("user:pass word@r.example.com", "r.example.com\\x", "r.example.com|x", "a_b.ü", "-ü.x", "ü..x", "ü.", "faß.de"),
    *("☕.x", "a\u200db.x", "Ü_x.de", "ü:5", "xn--a.ü", "ａ.example", "ü。de", 'r"x', "r.example.com/\"", "r.example.com?\""),
]
ATOMS = [
    *("r.example.com", "r", "http", "https", "http://", "https://", "HTTP://", "tcp://", "/", "//", ":", ":5000", ":a"),
    *("?", "?x", "#", "#f", "@", "u:p@", "u@", "u:@", ":p@", "%", "%zz", "%2f", "%2F", "%41", "%C3%BC", "%20", " ", "ü"),
    *("é", "<x>", '"', "|", "^", "`", "{", "}", "\\", "[", "[::1]", "[fe80::1%25eth0]", "::1", "..", "/../", "/./"),
    *("a", "b;c", "=", "&", "+", "*", "!", "'", "(", ")", "~", "_", "-", ".", "\x01", "日本", "x%25", "docker.io"),
]
TARGETS = [
    *("scanner.example.com:8443", "scanner.example.com", "#f", "", "dns:///", "dns:", "passthrough:///", "passthrough:"),
    *("dns:///x.example", "dns://bad:x:y/x.example", "dns:x.example:70000", "unix:", "unix:a", "unix-abstract:x"),
    *("unix://host/x", "xds:///a", "https://scanner.example.com:8443", "http://x", "tcp://x:1", "a b", "%zz", "?x", "/"),
    *("x:y:z", "::1", "x:", ":a", "x.example:99999", "dns:////", "dns:///x:", "dns:/x", "x#f", "dns:///#f", "DNS:///"),
    *("Dns:///x", "dns://a:b/x", "dns://a:/x", "dns:///a:b:c", "[::1", "[::1]:x", "ü.example:1", "x.example:1?y#z"),
]
REGIONS = [
    *("us-east-2", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1"),
    *("eusc-de-east-1", "xx", "a b", "ü", "a.b", "a/b", "-a", "a-", "a..b", "a_b", "US-EAST-1", "cn-x", "x" * 64),
]
AWS_ENDPOINTS = [
    *("vpce-1.api.ecr.us-east-2.vpce.amazonaws.com", "http://h:5/x", "http", "h ü", "h/ü", "tcp://x", "http://", "u:p@h"),
    *("h?x", "h#f", "http:x", "h:", "h:a", "%zz", "h/%zz", "h/a b", "//x", "[::1]:5", "h/a/", "/", "?", "HTTPS://h", "::1"),
    *("bücher.example", "h/a%2fb", "httpx://h", "http.h", "h\\x", "h/<x>"),
]


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, check=True).stdout


def pem(label, der):
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def keys():
    """Return private keys that are whole, damaged or none."""
    rsa = openssl("genrsa", "-traditional", "1024")
    curve = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
    whole = [
        *(rsa, openssl("genrsa", "-traditional", "512"), curve),
        *(openssl("pkcs8", "-topk8", "-nocrypt", given=each) for each in (rsa, curve)),
        openssl("genpkey", "-algorithm", "ed25519"),
        openssl("genpkey", "-algorithm", "x25519"),
        openssl("rsa", "-pubout", given=rsa),
    ]
    damaged = []
    for each in whole:
        first, *middle, last = each.strip().split("\n")
        label, der = first[11:-5], bytearray(base64.b64decode("".join(middle)))
        for _ in range(25):
            changed = bytearray(der)
            for _ in range(RANDOM.randint(1, 2)):
                at = RANDOM.randrange(min(len(changed), RANDOM.choice((8, 40, 10_000))))
                match RANDOM.randrange(3):
                    case 0:
                        changed[at] = RANDOM.choice((0, 1, 2, 3, 4, 6, 0x30, 0x80, 0x81, 0xFF, 0x1F, 0xA0))
                    case 1:
                        del changed[at : at + RANDOM.randint(1, 4)]
                    case 2:
                        changed[at:at] = RANDOM.randbytes(2)
            damaged.append(pem(label, bytes(changed)))
    none = ["", "x", "not a key", "MIIEvQ", "0", "0\0", "******", "é", "a" * 200, "secret", "invented", "-----BEGIN PRIVATE KEY-----"]
    forms = [rsa.replace("\n", "\r\n"), rsa.replace("\n", " "), f"junk\n{rsa}", f"junk{rsa}", rsa + rsa, rsa[:-30], f"{rsa}x"]
    return [*whole, *damaged, *none, *forms]


def google():
    """Return texts for a service account."""
    account = {"audience": "a", "subject_token_type": "t"}
    user = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
    yield from ("{}", "null", "[]", "5", "not json", '""', "******", "{} x", "{", '"x"', "true", ' {"type":"x"} ')
    yield from ('{"TYPE":"x"}', '{"type":null}', '{"type":5}', '{"type":"x\\"y"}')
    rows = [
        *({"type": each} for each in ("x", "service_account", "authorized_user", "external_account", "Service_account")),
        *({"type": each} for each in ("external_account_authorized_user", "impersonated_service_account")),
        *({"type": "gdch_service_account", "format_version": each} for each in ("", "1", 5)),
        *(dict(list(user.items())[:count]) for count in range(1, 5)),
        {"web": {"client_id": "i", "client_secret": "invented", "redirect_uris": ["https://a.example"]}},
        *({"web": {"redirect_uris": each}} for each in ([], [None], [5], "x")),
        *({"web": {"redirect_uris": ["x"], **more}} for more in ({"client_id": 5}, {"auth_uri": None})),
        *({"web": {"redirect_uris": ["x"]}, **more} for more in ({"type": 5}, {"installed": 5}, {"type": "service_account"})),
        *({"installed": {"redirect_uris": ["x"]}, **more} for more in ({}, {"web": None}, {"web": {}}, {"Web": {}})),
        *({"type": "service_account", **more} for more in ({"private_key": 5}, {"project_id": 5}, {"delegates": ["a", 5]})),
        *({"type": "authorized_user", **more} for more in ({"client_id": 5}, {"quota_project_id": 5}, {"private_key": 5})),
        {**user, "token_uri": "%zz"},
        {**user, "token_uri": "http://t.example/x y"},
        {"type": "external_account", "audience": "a"},
        {"type": "external_account", "workforce_pool_user_project": "p", **account},
        {"type": "external_account", **account},
        {"type": "impersonated_service_account", "service_account_impersonation_url": "u"},
        *(
            {"type": "impersonated_service_account", "service_account_impersonation_url": url, "source_credentials": source}
            for url, source in (("u", {}), ("u", user), ("%zz", user), ("u", 5), ("u", None), ("", user), ("u", {"type": "x"}))
        ),
        {"type": "external_account_authorized_user", "refresh_token": "r", "token_url": "https://t/", "client_id": "i"},
        {**user, "type": "external_account_authorized_user", "token_url": "https://t/"},
        {**user, "type": "external_account_authorized_user", "token_url": "%zz"},
    ]
    sources = [
        *({}, {"file": "/nonexistent"}, {"file": 5}, {"url": "http://u.example/"}, {"url": "%zz"}, {"executable": {}}),
        *({"executable": {"command": "x", "timeout_millis": each}} for each in (1, 5000, 5.5, "x", 0)),
        *({"environment_id": each} for each in ("aws1", "aws2", "awsx", "x", "aws")),
        *({"file": "f", "format": each} for each in ({"type": "json"}, {"type": "x"}, {"type": 5}, 5)),
        *({"certificate": each} for each in ({}, {"use_default_certificate_config": True}, {"certificate_config_location": "/x"})),
        *({"headers": each, "file": "f"} for each in ({"a": "b"}, {"a": 5}, [], {"a": None})),
    ]
    rows += [{"type": "external_account", **account, "credential_source": each} for each in sources]
    rows += [
        {"type": "external_account", **account, "credential_source": {"file": "f"}, "service_account_impersonation_url": "u"},
        {"type": "external_account", "service_account_impersonation": {"token_lifetime_seconds": "5"}},
        {"type": "external_account", "service_account_impersonation": {"token_lifetime_seconds": 1.5}},
    ]
    yield from map(json.dumps, rows)


def questions():
    drawn = ["".join(RANDOM.choice(ATOMS) for _ in range(RANDOM.randint(1, 6))) for _ in range(400)]
    for endpoint in [*ENDPOINTS, *drawn]:
        yield {"Kind": "ping", "Endpoint": endpoint}
    for kind in ("catalog", "clair", "clairV4", "clairify"):
        for endpoint in [*ENDPOINTS[::3], *drawn[:40]]:
            yield {"Kind": kind, "Endpoint": endpoint}
    for target in TARGETS:
        yield {"Kind": "grpc", "Endpoint": target}
    for region in REGIONS:
        yield {"Kind": "ecr", "Region": region}
        yield {"Kind": "ecr", "Region": region, "Endpoint": "e.example"}
    for endpoint in AWS_ENDPOINTS:
        yield {"Kind": "ecr", "Region": "us-east-2", "Endpoint": endpoint}
    for region in ("us-east-2", "cn-north-1", "a b"):
        yield {"Kind": "ecr", "Region": region, "Role": "x"}
    for status in (401, 403, 404, 500):
        yield {"Kind": "ecr", "Region": "us-east-2", "Status": status}
        yield {"Kind": "ecr", "Region": "us-east-2", "Role": "x", "Status": status}
    accounts = [*google(), *(json.dumps({"type": "service_account", "private_key": each}) for each in keys())]
    for text in accounts:
        yield {"Kind": "google_registry", "Text": text}
        yield {"Kind": "google_scanner", "Text": text}


def main():
    asked = list(questions())
    away = ("http_proxy", "https_proxy", "all_proxy", "aws_ca_bundle")
    environment = {name: value for name, value in os.environ.items() if name.lower() not in away}
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "clients")
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True)
        given = "".join(json.dumps(each) + "\n" for each in asked).encode("ascii")
        done = subprocess.run([program], input=given, stdout=subprocess.PIPE, env=environment, check=True)
    answers = [json.loads(line) for line in done.stdout.decode("utf-8").split("\n") if line]
    if len(answers) != len(asked):
        raise SystemExit(f"{len(asked)} questions, {len(answers)} answers")
    with open(FILE, "w", encoding="ascii", newline="\n") as out:
        for question, answer in zip(asked, answers):
            out.write(json.dumps({"input": question, "output": answer}, separators=(",", ":")) + "\n")
    print(f"{len(asked)} lines, {os.path.getsize(FILE)} bytes")


if __name__ == "__main__":
    main()
