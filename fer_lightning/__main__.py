"""The command line: python -m fer_lightning VERB, or fer-lightning VERB. In a checkout train.py and eval.py train."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module

from fer_lightning import __version__
from fer_lightning.config.verbs import AT_WORK, verbs
from fer_lightning.errors import UserError
from fer_lightning.names import printable
from fer_lightning.signals import listen


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb; a user's mistake ends with one sentence and exit code 1."""
    listen()  # before the imports that take longer than a Ctrl-C
    from fer_lightning.launch.console import outlast_console

    outlast_console()
    if "LOCAL_RANK" in os.environ and AT_WORK in os.environ:  # started by Lightning, which repeats the options alone
        arguments = [os.environ[AT_WORK], *sys.argv[1:]]
    parser = ArgumentParser(prog="fer-lightning", description=__doc__)
    parser.add_argument("--version", action="version", version=f"fer_lightning {__version__}")
    parsers = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for name, verb in verbs().items():
        subparser = parsers.add_parser(name, help=verb.help, description=verb.help, add_help=bool(verb.arguments))
        for argument, options in verb.arguments.items():
            subparser.add_argument(argument, **options)
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        parser.print_help(sys.stderr)
        sys.exit(2)
    namespace, rest = parser.parse_known_args(arguments)
    values = vars(namespace)
    name = values.pop("verb")
    verb = verbs()[name]
    if not verb.arguments:
        from fer_lightning.launch.entry import run

        sys.argv[1:] = rest
        run(name)
        return
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        getattr(import_module(verb.module), verb.function)(**values)
    except UserError as error:
        sys.exit(f"error: {printable(str(error))}")


if __name__ == "__main__":
    main()
