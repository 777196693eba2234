"""The stack of docker-compose.yml, used: a study pushed through it, and its containers killed meanwhile."""
