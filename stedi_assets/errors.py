"""The faults that a user can cause and fix, each with a code, and how they end a command."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Iterator

# What a shell reports of a process that Ctrl-C has ended.
CANCELLED_STATUS = 130
CANCELLED = "Cancelled. Every table is at its last good version."


class Code(enum.Enum):
    """What is wrong: a clause that says so, and a sentence, without its full stop, that fixes it.

    `python -m docs.errors` lists them in docs/ERRORS.md.
    """

    def __init__(self, meaning: str, fix: str) -> None:
        self.meaning = meaning
        self.fix = fix

    SETTING = (
        "a setting, an argument or a run configuration cannot be used",
        "Correct what the message names",
    )
    HISTORY = (
        "the history of runs is another lakehouse's, or another UI serves it",
        "Do as the message says",
    )
    PORT = ("a server cannot listen at that port", "Choose another port")
    NOTIFICATION = (
        "a message about a failed run could not be sent",
        "Correct STEDI_SLACK_WEBHOOK_URL or STEDI_SNS_TOPIC_ARN",
    )
    OPENLINEAGE = (
        "OpenLineage events of a run could not be sent; the run goes on without them",
        "Start what receives them, or correct the OPENLINEAGE_ variables",
    )
    # Storage.
    DISK_FULL = ("the disk is full, or its quota used up", "Make room")
    READ_ONLY = ("the file system is read-only", "Mount it for writing")
    PERMISSION = ("there is no permission for that", "Grant it")
    NOT_A_FOLDER = ("a file stands where a folder belongs", "Move it away")
    NAME_TOO_LONG = ("a file's name is too long", "Shorten it")
    NO_BUCKET = ("the bucket does not exist", "Create it")
    NO_CREDENTIALS = (
        "there are no AWS credentials",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    )
    WRONG_CREDENTIALS = (
        "the AWS credentials are wrong",
        "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    )
    EXPIRED_CREDENTIALS = ("the AWS credentials have expired", "Renew them")
    NO_REGION = ("there is no AWS region", "Set AWS_REGION")
    NO_CONDITIONAL_WRITES = (
        "the object store does not know conditional writes (If-None-Match and If-Match), without "
        "which writers overwrite each other",
        "Use one that does",
    )
    NO_ANSWER = (
        "the service does not answer",
        "Start it, or correct AWS_ENDPOINT_URL or the network",
    )
    CUT_ANSWER = (
        "its answer is cut short, or is not that of an object store",
        "Wait for it, or correct AWS_ENDPOINT_URL",
    )
    OVERLOADED = (
        "the service fails for the moment, or has too many requests",
        "Wait a minute",
    )
    REFUSED = ("the system or the service refuses it", "Correct what it names")
    WRITE_CONFLICT = (
        "another run or a device wrote it at the same time",
        "Wait for that to end",
    )
    # Landing.
    LANDING_EMPTY = ("a landing folder has no file", "Let files arrive, or set STEDI_SOURCE_DATA")
    LANDING_NAME = (
        "a landing file cannot be read by its name, or is a symbolic link",
        "Rename it, or put the file itself there",
    )
    LANDING_FILE = (
        "a landing file cannot be read: it is damaged, cut short or, compressed, not UTF-8",
        "Put a whole copy in its place",
    )
    FILE_CHANGED = ("a file changed while it was read", "Run again when it is complete")
    # Tables.
    NOT_MATERIALISED = ("a table is not in the lakehouse yet", "Materialise it")
    OTHER_RELEASE = (
        "a table was made by another release or by another writer",
        "Materialise it again",
    )
    LOG_DAMAGED = (
        "a Delta log lacks a file, or holds one that cannot be read",
        "Restore it from a backup, or move the table's folder away and materialise again",
    )
    DATA_FILE_DAMAGED = (
        "a data file is gone or damaged",
        "Restore it from a backup, or make the table anew with `rebuild: true`",
    )
    TABLE_DIFFERS = (
        "a table is not what its rule makes of landing",
        "Materialise it again, which makes it anew, and find out what else writes there",
    )
    PEOPLE_LEFT = (
        "people who are to be erased may still be in the lakehouse",
        "Do as the message says, then run the job again",
    )
    CONTRACT = (
        "a change breaks those who rely on a table's data contract",
        "Undo it, or raise MAJOR in the version of the table's declaration",
    )
    # The training set.
    VERSION_GONE = (
        "a version of the training set is erased or deleted",
        "Load the version that the message names",
    )
    SPLIT_EMPTY = ("a split of the training set has no rows", "Load another split or version")
    NOT_INSTALLED = ("an optional package is not installed", "Install it")
    NOT_PUBLISHED = (
        "the training set cannot be published as it is",
        "Do as the message says, then run the job again",
    )
    # The catalog and the console.
    NO_DATABASE = ("there is no such Glue database", "Create it, or correct STEDI_GLUE_DATABASE")
    NO_WORKGROUP = (
        "there is no such Athena workgroup",
        "Create it, or correct STEDI_ATHENA_WORKGROUP",
    )
    FOREIGN_TABLE = (
        "Glue has a table of that name which this project did not make",
        "Rename or drop it, or set STEDI_GLUE_DATABASE to another database",
    )
    QUERY = ("a query has a mistake, or stopped at a value or a file", "Correct the query")
    # The engine.
    ENGINE_SETUP = ("the engine could not start", "Do as the message says")
    ENGINE_BUSY = ("the engine did not answer in time", "Run again when the machine is less busy")
    ENGINE_UNREACHABLE = (
        "no Spark Connect server answers",
        "Start it, or correct STEDI_SPARK_REMOTE",
    )
    ENGINE_LOST = (
        "the connection to the Spark engine was lost",
        "If STEDI_SPARK_REMOTE is set, make sure that its server runs",
    )
    ENGINE_TOKEN = (
        "the Spark Connect server of STEDI_SPARK_REMOTE refuses its token, or wants one",
        "Set it as the server says, sc://host:port/;token=…",
    )
    ENGINE_JAR = (
        "the Spark server lacks a jar, of Delta or of S3",
        "Start it with delta-spark and hadoop-aws of its release, as `stedi spark-server` does "
        "where STEDI_LAKEHOUSE_URI is on S3",
    )
    ENGINE_CREDENTIALS = (
        "the Spark server, or one of its workers, has no key of the object store",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where the server starts, which gives them "
        "to its workers",
    )
    OUT_OF_MEMORY = (
        "the engine needs more memory than it may take",
        "Give the machine or the container more, or set STEDI_SPARK_REMOTE to a server that has it",
    )
    UNEXPECTED = (
        "an error that this project does not know",
        "Materialise again what the step reads, then run again",
    )

    @property
    def transient(self) -> bool:
        """Whether it may pass by itself, so that the same again may succeed."""
        return self in TRANSIENT

    @property
    def of_all_steps(self) -> bool:
        """Whether its cause is outside of any table, so that each step meets the same one."""
        return self in OF_ALL_STEPS


TRANSIENT = {
    Code.NO_ANSWER,
    Code.CUT_ANSWER,
    Code.OVERLOADED,
    Code.WRITE_CONFLICT,
    Code.FILE_CHANGED,
    Code.ENGINE_BUSY,
}
OF_ALL_STEPS = {
    Code.DISK_FULL,
    Code.READ_ONLY,
    Code.NO_BUCKET,
    Code.NO_CREDENTIALS,
    Code.WRONG_CREDENTIALS,
    Code.EXPIRED_CREDENTIALS,
    Code.NO_REGION,
    Code.NO_ANSWER,
    Code.ENGINE_LOST,
    Code.ENGINE_TOKEN,
    Code.ENGINE_UNREACHABLE,
    Code.ENGINE_JAR,
    Code.ENGINE_CREDENTIALS,
    Code.OUT_OF_MEMORY,
}


class LakehouseError(Exception):
    """A fault outside the code. Its message names the thing and the fix, without personal data.

    Args:
        message: What is wrong and how to fix it.
        code: What is wrong; most faults are mistakes in what the user has set.
    """

    def __init__(self, message: str, code: Code = Code.SETTING) -> None:
        super().__init__(message)
        self.code = code

    @property
    def transient(self) -> bool:
        """Whether it may pass by itself, so that the same again may succeed."""
        return self.code.transient

    def __str__(self) -> str:
        return f"[{self.code.name}] {self.args[0]}"


@contextlib.contextmanager
def fault_ends_process() -> Iterator[None]:
    """Ends a command in one sentence: at a fault with exit status 1, at Ctrl-C with 130."""
    try:
        yield
    except LakehouseError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print(CANCELLED, file=sys.stderr)
        sys.exit(CANCELLED_STATUS)
