"""What Hydra keeps of a job, without what it prints of one that failed."""

from typing import Any

from hydra.core.utils import JobReturn, JobStatus


class SilentReturn(JobReturn):
    """What Hydra keeps of a job; its own class prints "Error executing job" before it raises the error."""

    @property
    def return_value(self) -> Any:
        """Return what the job returned, or raise what ended it."""
        if self.status == JobStatus.FAILED:
            raise self._return_value
        return self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value
