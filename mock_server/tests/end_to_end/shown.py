"""Print which checks break behind the judging proxy where public scripts meet a mutant.

    PUBLIC_CLIENTS=FOLDER python -m mock_server.tests.end_to_end.shown MUTANT…

FOLDER is told in `clients.py`. With ansible-playbook on the PATH, --ansible TASKS also runs so many tasks of the
acceptance test of the Ansible collection.
"""

import tempfile
from pathlib import Path

import click

from mock_server.mutants import find
from mock_server.tests.end_to_end.clients import SCRIPTS, central, is_judged_alike, run_ansible, run_script

ONCE_OF_A_KIND = tuple(name for name in SCRIPTS if name not in ("installer-nexus", "installer-artifactory"))


@click.command()
@click.argument("mutants", nargs=-1, required=True)
@click.option("--ansible", "tasks", default=0, metavar="TASKS")
def main(mutants: tuple[str, ...], tasks: int) -> None:
    """Meet each mutant once, with each script twice."""
    for name in mutants:
        assert find(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            with central(path, "--tls", "--mutant", name, proxied=True) as (url, report):
                for script in ONCE_OF_A_KIND:
                    for _ in SCRIPTS[script].says:
                        run_script(script, url, path)
                if tasks:
                    run_ansible(url, path, tasks=tasks)
        assert is_judged_alike(report)
        broken = [each["check"] for each in report["results"] if each["outcome"] == "failed"]
        click.echo(f"| `{name}` | {report['requests']} | {', '.join(f'`{each}`' for each in broken) or '-'} |")


if __name__ == "__main__":
    main()
