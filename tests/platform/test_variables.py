"""Each variable that the settings read is explained to the people who run the portal, and reaches the containers."""

import re
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
READ = set(re.findall(r'"(SEAPORTAL_[A-Z_]+)"', (ROOT / "seaportal/settings.py").read_text()))
# For trials, or settled when the image is built.
NOT_FOR_CONTAINERS = {"SEAPORTAL_DEBUG", "SEAPORTAL_PRIVATE_ENDPOINTS", "SEAPORTAL_STATIC_ROOT"}


def test_each_is_explained():
    told = (ROOT / ".env.example").read_text()
    assert READ and {name for name in READ if f"{name}=" not in told} == set()


def test_each_reaches_the_containers():
    given = (ROOT / "docker-compose.yml").read_text()
    assert {name for name in READ if f"{name}:" not in given} == NOT_FOR_CONTAINERS


def test_what_the_web_server_and_the_worker_hand_each_other_lies_on_a_volume_of_both():
    compose, image = (ROOT / "docker-compose.yml").read_text(), (ROOT / "Dockerfile").read_text()
    folder = re.search(r"SEAPORTAL_VAR: (\S+)", compose).group(1)
    assert f":{folder}\n" in compose.split("services:")[0] and f"mkdir -p /srv/archives {folder}" in image
