"""Print which checks break behind the judging proxy where public clients meet a mutant, or the healthy mock.

    PUBLIC_CLIENTS=FOLDER python -m mock_server.tests.end_to_end.shown healthy MUTANT…

`clients.py` lists what is in FOLDER. With ansible-playbook on the PATH, --ansible TASKS also runs so many tasks of the
acceptance test of the Ansible collection.
"""

import tempfile
from pathlib import Path

import click

from mock_server.mutants import all_mutants
from mock_server.tests.end_to_end.clients import SCRIPTS, central, is_judged_alike, run_ansible, run_script

HEALTHY = "healthy"
ONCE_OF_A_KIND = tuple(name for name in SCRIPTS if name not in ("installer-nexus", "installer-artifactory"))


@click.command()
@click.argument("mutants", nargs=-1, required=True, type=click.Choice([HEALTHY, *all_mutants()]))
@click.option("--rounds", default=1, show_default=True, help="Journeys: how often each script runs twice.")
@click.option("--ansible", "tasks", default=0, metavar="TASKS", help="Tasks of Ansible's acceptance test to run.")
def main(mutants: tuple[str, ...], rounds: int, tasks: int) -> None:
    """Run public clients against each mutant through the proxy, and print its findings."""
    for name in mutants:
        options = () if name == HEALTHY else ("--mutant", name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            with central(path, "--tls", *options, proxied=True) as (url, report):
                for script in ONCE_OF_A_KIND * rounds:
                    for _ in SCRIPTS[script].says:
                        run_script(script, url, path)
                if tasks:
                    run_ansible(url, path, tasks=tasks)
        assert is_judged_alike(report)
        broken = [f"`{each['check']}`" for each in report["results"] if each["outcome"] == "failed"]
        click.echo(f"| `{name}` | {report['requests']} | {', '.join(broken) or '-'} |")


if __name__ == "__main__":
    main()
