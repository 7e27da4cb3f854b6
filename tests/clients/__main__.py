"""Runs the checks with one line for each, and stops what they started."""

import signal
import sys
import unittest
from pathlib import Path

import salus_server

HERE = Path(__file__).resolve().parent


class Lines(unittest.TestResult):
    """One line for each check, as it ends."""

    def __init__(self):
        super().__init__()
        self.module = None
        self.passed = 0

    def startTest(self, test):
        super().startTest(test)
        module = type(test).__module__
        if module != self.module:
            self.module = module
            print(f"{module.removeprefix('test_')}", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.say("✓", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("✗", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.say("✗", test)
        if isinstance(err[1], salus_server.NotUp):
            self.stop()

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.say("✗", subtest)

    def say(self, mark, test):
        # What failed before a class or a module began is no test of ours.
        name = getattr(test, "_testMethodName", str(test))
        name = name.removeprefix("test_").replace("_", " ")
        print(f"  {mark} {name}", flush=True)


def interrupted(_signal, _frame):
    # The one exception that unittest does not take for a failed check.
    raise KeyboardInterrupt


def main(names):
    signal.signal(signal.SIGTERM, interrupted)
    loader = unittest.TestLoader()
    if names:
        suite = loader.loadTestsFromNames(names)
    else:
        suite = loader.discover(str(HERE), top_level_dir=str(HERE))
    result = Lines()
    ended_well = False
    try:
        suite.run(result)
        for test, trace in result.errors + result.failures:
            print(f"\n{test}\n{trace}")
        if not result.wasSuccessful():
            print(
                "What the servers said last:", *salus_server.logs(), sep="\n"
            )
    finally:
        ended_well = salus_server.stop_all()
    if not ended_well:
        print("A server did not end well.")
    bad = len(result.errors) + len(result.failures)
    print(f"\n{result.passed} of {result.testsRun} checks hold")
    # No check at all is no success.
    whole = result.passed == result.testsRun > 0
    return 0 if ended_well and whole and not bad else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
