"""Athena, which queries the tables that the catalog names."""

from dagster_aws.athena import AthenaClientResource
from dagster_aws.athena.resources import AthenaClient, AthenaError, AthenaTimeout
from pydantic import Field

from stedi_assets.storage import aws_settings
from stedi_assets.storage.faults import service_faults


class Athena(AthenaClientResource):
    """dagster-aws's Athena, reached by the settings that reach the catalog."""

    polling_interval: int = Field(default=1, description="Seconds between looks at a query.")
    max_polls: int = Field(default=120, description="Looks before a query is given up.")

    def get_client(self) -> AthenaClient:
        """A client by the settings that all of the project uses; dagster-aws has its own."""
        client = aws_settings.found().client("athena")
        return AthenaClient(client, self.workgroup, self.polling_interval, self.max_polls)

    def count(self, query: str) -> int:
        """Runs a query that counts.

        Args:
            query: A query of one row and one column.

        Raises:
            AthenaError: If the query fails or takes too long; its message says why.
            LakehouseError: If Athena refuses or does not answer.
        """
        with service_faults("Athena cannot run a query", "Then run the check again."):
            try:
                rows = self.get_client().execute_query(query, fetch_results=True)
            except AthenaTimeout:
                seconds = self.polling_interval * self.max_polls
                raise AthenaError(
                    f"no answer within {seconds} seconds. See what the workgroup {self.workgroup} "
                    "is busy with, then run the check again"
                ) from None
            except KeyError as missing:
                # dagster-aws counts on a reason and on a location of the results.
                raise AthenaError(
                    f"the answer lacks {missing}: the query was cancelled, or the workgroup "
                    f"{self.workgroup} keeps no results in S3. Set its output location"
                ) from None
        [[counted]] = rows
        return int(counted)
