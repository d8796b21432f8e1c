"""Usage: schema.py SCHEMA POLICY... Exits 0 if the schema accepts every policy and refuses every broken variant."""

import copy
import json
import re
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """YAML 1.2, as Edgeward reads it: only true and false are booleans, keys are text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), "tf")
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("^[-+]?[0-9]+$"), "-+0123456789")


def as_json(value):
    if isinstance(value, dict):
        return {str(key): as_json(inner) for key, inner in value.items()}
    return [as_json(inner) for inner in value] if isinstance(value, list) else value


def maps(value, path=()):
    """Every map of a policy whose keys are known, with its path; not those whose keys are names, or that are JSON of others
    (what a JWK may have beside what is known, RFC 7517 section 4 has ignored)."""
    named = path and path[-1] in ("upstreams", "chains", "headers", "query", "set", "add", "pages", "json", "claims")
    if isinstance(value, dict) and not {"json", "jwk"} & set(path):
        if not named:
            yield path
        for key, inner in value.items():
            yield from maps(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from maps(inner, (*path, index))


def at(value, path):
    for step in path:
        value = value[step]
    return value


def main(schema_file, *policies):
    schema = json.load(open(schema_file, encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    wrong = refused = 0
    for name in policies:
        policy = as_json(yaml.load(open(name, encoding="utf-8"), Loader))
        for error in validator.iter_errors(policy):
            print(f"{name}: {error.json_path}: {error.message}")
            wrong += 1
        for path in maps(policy):
            broken = copy.deepcopy(policy)
            at(broken, path)["no_such_key"] = 1
            if validator.is_valid(broken):
                print(f"{name}: a misspelt key is accepted at {path}")
                wrong += 1
            refused += 1
    base = {"listeners": [{"address": "127.0.0.1:80"}]}
    assert validator.is_valid(base)
    for broken in [
        {},
        {"listeners": [{"address": 80}]},
        {"listeners": [{"address": "127.0.0.1"}]},
        {**base, "limits": {"head_timeout": "10"}},
        {**base, "limits": {"uri": "8 KiB"}},
        {**base, "filters": [{"rate_limit": {"limit": "100"}}]},
        {**base, "filters": [{"rate_limit": {"limit": "100/1m", "mode": "audit"}}]},
        {**base, "filters": [{"cors": {"origins": [], "mode": "shadow"}}]},
        {**base, "filters": [{"ip_access": {}, "cors": {}}]},
        {**base, "upstreams": {"a": {"backends": ["x:1"], "balance": "fastest"}}},
        {**base, "upstreams": {"a": {"backends": ["x:1"], "eject": "on"}}},
        {**base, "admin": {"address": "127.0.0.1:1", "token": "written here"}},
        {**base, "access_log": {"fields": ["password"]}},
        {**base, "routes": [{"respond": {"status": 200}}]},
    ]:
        if validator.is_valid(broken):
            print(f"accepted: {broken}")
            wrong += 1
        refused += 1
    print(f"{len(policies)} policies accepted, {refused} broken variants refused" if not wrong else f"{wrong} wrong")
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
