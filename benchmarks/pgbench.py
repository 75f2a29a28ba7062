"""SQL alone, driven by pgbench. https://www.postgresql.org/docs/current/pgbench.html

What it measures is PostgreSQL's CPU time for a statement, with nothing of ours around it; pgbench's own is not counted.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accounting import cpu_microseconds
from benchmarks.driver import Load
from benchmarks.prepared import Prepared, word_rows
from fhir_server.store import postgres_binaries
from fhir_server.store.wire import array, text_array

_PROCESSED = re.compile(r"number of transactions actually processed: (\d+)")
_FAILED = re.compile(r"number of failed transactions: (\d+)")
_LATENCY = re.compile(r"latency average = ([0-9.]+) ms")

INSERT = """\\set key random(1, 4000000000000000000)
WITH made AS (
    INSERT INTO resource (tenant_id, version, key, patient, date_low, date_high, last_updated, type_id, deleted, id,
                          method, tokens, params, meta, body)
    VALUES (:tenant::int, 1, :key, :patient_N::bigint, :date_low_N::bigint, :date_high_N::bigint,
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, :type_N::smallint, false, (:key::bigint)::text,
            'POST', :tokens_N::bigint[], :params_N::int[], :meta_N::jsonb, :body_N::jsonb)
    RETURNING rid
), tokens AS (
    INSERT INTO idx_token SELECT :tenant::int, t, rid FROM made, unnest(:tokens_N::bigint[]) t
)"""
"""A create's rows as one statement; the parts below are added where the resource has such rows."""

PARTS = {
    "references": """, refs AS (
    INSERT INTO idx_reference
    SELECT :tenant::int, p, t, rid FROM made, unnest(:ref_0_N::int[], :ref_1_N::bigint[]) x(p, t)
)""",
    "strings": """, strings AS (
    INSERT INTO idx_string
    SELECT :tenant::int, p, rid, e, v
      FROM made, unnest(:str_0_N::int[], :str_1_N::text[], :str_2_N::bigint[]) x(p, v, e)
)""",
    "dates": """, dates AS (
    INSERT INTO idx_date
    SELECT :tenant::int, p, l, h, rid
      FROM made, unnest(:dat_0_N::int[], :dat_1_N::bigint[], :dat_2_N::bigint[]) x(p, l, h)
)""",
    "quantities": """, quantities AS (
    INSERT INTO idx_quantity
    SELECT :tenant::int, p, l, h, u, rid
      FROM made, unnest(:qty_0_N::int[], :qty_1_N::float8[], :qty_2_N::float8[], :qty_3_N::bigint[]) x(p, l, h, u)
)""",
    "words": """, words AS (
    INSERT INTO idx_word (tenant_id, hash, place, weight, rid)
    SELECT :tenant::int, h, p, w, rid
      FROM made, unnest(:wrd_0_N::bigint[], :wrd_1_N::int[], :wrd_2_N::smallint[]) x(h, p, w)
)""",
    "composites": """, composites AS (
    INSERT INTO idx_composite
    SELECT :tenant::int, c, l, h, rid, v
      FROM made, unnest(:cmp_0_N::bigint[], :cmp_1_N::float8[], :cmp_2_N::float8[], :cmp_3_N::text[]) x(c, l, h, v)
)""",
}
_PREFIXES = {
    "words": "wrd",
    "references": "ref",
    "strings": "str",
    "dates": "dat",
    "quantities": "qty",
    "composites": "cmp",
}


class PgbenchFailed(Exception):
    """pgbench refused a statement, so there is no floor to compare with."""


@dataclass(frozen=True, slots=True)
class Script:
    """One pgbench script with the values of its variables."""

    text: str
    variables: dict[str, str]


def insert_script(one: Prepared, tenant_id: int, number: int) -> Script:
    """The INSERTs that creating this resource makes, as one prepared statement whose values are sent each time."""
    text = INSERT
    variables = {
        "tenant": str(tenant_id),
        "type_N": str(one.type_id),
        "tokens_N": array(one.rows.tokens).decode(),
        "params_N": array(one.rows.params).decode(),
        "body_N": one.body.decode(),
    }
    optional = {
        "patient_N": one.rows.patient,
        "date_low_N": one.rows.date_low,
        "date_high_N": one.rows.date_high,
        "meta_N": one.meta.decode() if one.meta else None,
    }
    for name, value in optional.items():
        if value is None:
            text = text.replace(f":{name}", "NULL")
        else:
            variables[name] = str(value)
    for table, part in PARTS.items():
        rows = word_rows(one.rows) if table == "words" else getattr(one.rows, table)
        if rows:
            text += part
            for n, column in enumerate(zip(*rows, strict=True)):
                texts = text_array(column) if isinstance(column[0], str) else array(column)
                variables[f"{_PREFIXES[table]}_{n}_N"] = texts.decode()
    text += "\nSELECT rid FROM made;\n"
    return Script(
        text.replace("_N", f"_{number}"),
        {name.replace("_N", f"_{number}"): value for name, value in variables.items()},
    )


def run(
    scripts: Sequence[Script],
    app_url: str,
    postgres_pid: int,
    *,
    connections: int,
    seconds: float,
    tenant_id: int,
    prepared: bool,
) -> Load:
    """Run the scripts at random as the application's role, the tenant set for the session. Raises PgbenchFailed."""
    # The copy that a server under root runs from has no client programs; those of the package do for root itself.
    program = postgres_binaries.locate(Path(tempfile.gettempdir()), None) / "pgbench"
    with tempfile.TemporaryDirectory(prefix="fhir-pgbench-") as name:
        command = [str(program), "--no-vacuum", "--client", str(connections), "--jobs", "1"]
        command += ["--protocol", "prepared" if prepared else "simple", "--time"]
        files: list[str] = []
        variables: dict[str, str] = {}
        for number, script in enumerate(scripts):
            path = Path(name) / f"{number}.sql"
            path.write_text(script.text)
            files += ["--file", str(path)]
            variables |= script.variables
        defines = [part for key, value in variables.items() for part in ("--define", f"{key}={value}")]
        environment = os.environ | {"PGOPTIONS": f"-c fhir.tenant={tenant_id}"}
        # Sessions plan anew a few times before they keep a plan: a short run first shows mistakes and warms the caches.
        _pgbench([*command, "1", *files, *defines, app_url], environment, seconds)
        before, begun = cpu_microseconds({"postgres": postgres_pid}), time.perf_counter()
        output = _pgbench([*command, str(max(1, round(seconds))), *files, *defines, app_url], environment, seconds)
        elapsed = time.perf_counter() - begun
        cpu = cpu_microseconds({"postgres": postgres_pid})["postgres"] - before["postgres"]
    done = int(_matched(_PROCESSED, output))
    average = float(_matched(_LATENCY, output)) * 1000
    return Load(elapsed, done, {"transaction": [average]}, {"postgres": cpu})


def _pgbench(command: Sequence[str], environment: dict[str, str], seconds: float) -> str:
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=seconds + 120)
    if ended.returncode or int(_matched(_FAILED, ended.stdout)):
        raise PgbenchFailed((ended.stderr.strip() or ended.stdout)[-600:])
    return ended.stdout


def _matched(pattern: re.Pattern[str], output: str) -> str:
    found = pattern.search(output)
    if found is None:
        raise PgbenchFailed(f"pgbench said something else: {output[-300:]}")
    return found[1]
