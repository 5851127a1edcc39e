"""Results webhooks: an endpoint is told of events in order, as long as it takes, without delaying a push."""

from wakeline.pipeline.webhooks.telling import Webhooks

__all__ = ["Webhooks"]
