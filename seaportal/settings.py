"""All settings, in one file, read from the environment.

A variable that is missing or malformed stops the start with its name and an example; nothing here
guesses a secret. `.env.example` explains each variable for the people who run the portal.
"""

from pathlib import Path

import environ
from celery.schedules import crontab
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def required(name: str, example: str) -> str:
    """Return an environment variable, or stop the start with a sentence that names it."""
    value = env.str(name, default="").strip()
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. Example: {name}={example}")
    return value


def field_keys() -> list[str]:
    """Return the Fernet keys that encrypt stored secrets, newest first."""
    keys = [key.strip() for key in required("FIELD_KEYS", "(see .env.example)").split(",") if key.strip()]
    for key in keys:
        try:
            Fernet(key)
        except ValueError as error:
            raise ImproperlyConfigured(
                "FIELD_KEYS holds something that is not a Fernet key. Make one with: "
                "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            ) from error
    return keys


def number(name: str, default: int, *, low: int, high: int) -> int:
    """Return a whole number from the environment within its bounds."""
    try:
        value = env.int(name, default=default)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, for example {name}={default}") from error
    if not low <= value <= high:
        raise ImproperlyConfigured(f"{name} must lie between {low} and {high}, for example {name}={default}")
    return value


def one_of(name: str, default: str, *others: str) -> str:
    """Return one of a few words from the environment."""
    value = env.str(name, default="").strip() or default
    if value not in (default, *others):
        raise ImproperlyConfigured(
            f"{name} must be {', '.join((default, *others))}; for example {name}={others[-1]}"
        )
    return value


def issuer() -> str:
    """Return the address of the identity provider, or nothing when there is none."""
    value = env.str("SEAPORTAL_OIDC_ISSUER", default="").strip()
    if value and not value.startswith(("https://", "http://") if PRIVATE_ENDPOINTS else "https://"):
        raise ImproperlyConfigured(
            "SEAPORTAL_OIDC_ISSUER must be the provider's https:// address, "
            "for example SEAPORTAL_OIDC_ISSUER=https://login.example.com/realms/staff"
        )
    return value


# --- who may talk to us -------------------------------------------------------------------------
DEBUG = env.bool("SEAPORTAL_DEBUG", default=False)
HTTPS = env.bool("SEAPORTAL_HTTPS", default=True)
SECRET_KEY = required("SECRET_KEY", "(50 or more random characters)")
FIELD_KEYS = field_keys()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SETUP_CODE = env.str("SEAPORTAL_SETUP_CODE", default="")

# --- what the product may touch -----------------------------------------------------------------
VAR = Path(env.str("SEAPORTAL_VAR", default=str(BASE_DIR / "var")))
ARCHIVE_ROOTS = [
    Path(root)
    for root in env.str("SEAPORTAL_ARCHIVE_ROOTS", default=str(VAR / "archives")).split(":")
    if root.strip()
]
PRIVATE_ENDPOINTS = env.bool("SEAPORTAL_PRIVATE_ENDPOINTS", default=False)
SCAN_SHARDS = number("SEAPORTAL_SCAN_SHARDS", 16, low=1, high=64)
SCAN_EVERY_MINUTES = number("SEAPORTAL_SCAN_EVERY_MINUTES", 30, low=5, high=1440)  # of a new tenant
LEASE_SECONDS = number("SEAPORTAL_LEASE_SECONDS", 90, low=5, high=3600)
METADATA_MEGABYTES = number("SEAPORTAL_METADATA_MB", 1000, low=1, high=100_000)
BUNDLE_DAYS = number("SEAPORTAL_BUNDLE_DAYS", 14, low=1, high=365)  # that a bundle can be fetched
BUNDLE_STREAMS = number("SEAPORTAL_BUNDLE_STREAMS", 20, low=1, high=200)  # at once, per web process
EXPORT_DAYS = number("SEAPORTAL_EXPORT_DAYS", 7, low=1, high=90)  # that a file made in the background is kept
TRANSFER_THREADS = number("SEAPORTAL_TRANSFER_THREADS", 32, low=1, high=64)

# --- the Django application ---------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "csp",
    "django_htmx",
    "django_celery_beat",
    "recordings",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "recordings.views.errors.OnlyByForm",
    "recordings.access.gate.DenyByDefault",
]
ROOT_URLCONF = "seaportal.urls"
WSGI_APPLICATION = "seaportal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "recordings.views.shell.shell",
            ],
            "builtins": ["recordings.templatetags.words"],
        },
    }
]

# --- mail ---------------------------------------------------------------------------------------
MAIL_URL = env.str("SEAPORTAL_MAIL_URL", default="")  # empty: no mail is sent, and pages say so
EMAIL = environ.Env.email_url_config(MAIL_URL or "consolemail://")
EMAIL_BACKEND, EMAIL_TIMEOUT = EMAIL["EMAIL_BACKEND"], 30
EMAIL_HOST, EMAIL_PORT = EMAIL["EMAIL_HOST"] or "localhost", EMAIL["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL["EMAIL_HOST_USER"] or "", EMAIL["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = EMAIL.get("EMAIL_USE_TLS", False), EMAIL.get("EMAIL_USE_SSL", False)
DEFAULT_FROM_EMAIL = env.str("SEAPORTAL_MAIL_FROM", default="SEA Portal <seaportal@localhost>")
# Where people reach the portal, for links in mails.
ADDRESS = (
    env.str("SEAPORTAL_ADDRESS", default="") or next(iter(CSRF_TRUSTED_ORIGINS), "http://127.0.0.1:8000")
).rstrip("/")

# --- data ---------------------------------------------------------------------------------------
DATABASES = {
    "default": env.db_url_config(required("DATABASE_URL", "postgres://user:password@host:5432/seaportal"))
}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 10
DATABASES["default"]["CONN_MAX_AGE"] = 60
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = required("REDIS_URL", "redis://host:6379/0")
# What one question of a page may take before the page says what to narrow.
PAGE_SECONDS = number("SEAPORTAL_PAGE_SECONDS", 20, low=1, high=600)
# In the process only: nothing that must survive or be shared is kept here, just figures a few seconds old.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
FIGURES_SECONDS = number("SEAPORTAL_FIGURES_SECONDS", 5, low=0, high=300)

# --- background work: the database holds it, the broker only says that there may be some ----------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "scan"
CELERY_TASK_ROUTES = {
    "recordings.tasks.scan_*": {"queue": "scan"},
    "recordings.tasks.transfer_*": {"queue": "transfer"},
    "recordings.tasks.sweep": {"queue": "scan"},
    "recordings.tasks.run_jobs": {"queue": "scan"},
    "recordings.tasks.media_work": {"queue": "media"},
    "recordings.tasks.waveform_work": {"queue": "media"},
    "recordings.tasks.release_*": {"queue": "transfer"},
    "recordings.tasks.remove_*": {"queue": "transfer"},
    "recordings.tasks.watch": {"queue": "scan"},
    "recordings.tasks.read_names": {"queue": "scan"},
    "recordings.tasks.import_metadata": {"queue": "export"},
    "recordings.tasks.export_*": {"queue": "export"},
    "recordings.tasks.bundle_*": {"queue": "export"},
    "recordings.tasks.reread_*": {"queue": "media"},
    "recordings.tasks.clear_leftovers": {"queue": "media"},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "health_check_interval": 25,
    "retry_on_timeout": True,
    # A person waits for this. What the broker does not take in a second, beat asks for again within a minute.
    "max_retries": 2,
    "interval_start": 0.2,
    "interval_step": 0.3,
}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = {
    "scan every tenant": {"task": "recordings.tasks.scan_due", "schedule": 60.0},
    "learn contact IDs": {"task": "recordings.tasks.learn_contacts", "schedule": 60.0},
    "fold the counts by day": {"task": "recordings.tasks.fold_days", "schedule": 60.0},
    "watch over tenants": {"task": "recordings.tasks.watch", "schedule": 60.0},
    "look into copies": {"task": "recordings.tasks.media_work", "schedule": 60.0},
    "run jobs": {"task": "recordings.tasks.run_jobs", "schedule": 60.0},
    "export by schedule": {"task": "recordings.tasks.export_due", "schedule": 60.0},
    "return expired leases": {"task": "recordings.tasks.sweep", "schedule": 60.0},
    "release what is due": {"task": "recordings.tasks.release_due", "schedule": 180.0},
    "remove what archives need not keep": {"task": "recordings.tasks.remove_due", "schedule": 900.0},
    "read copies again": {"task": "recordings.tasks.reread_due", "schedule": 600.0},
    "clear leftovers": {"task": "recordings.tasks.clear_leftovers", "schedule": crontab(hour=3, minute=17)},
}
CELERY_TIMEZONE = "UTC"

# --- people -------------------------------------------------------------------------------------
AUTH_USER_MODEL = "recordings.User"
SECOND_FACTOR = one_of("SEAPORTAL_SECOND_FACTOR", "optional", "admins", "everybody")  # who must have one
# Single sign-on: an identity provider that speaks OpenID Connect; without an issuer there is none.
OIDC_ISSUER = issuer()
OIDC_CLIENT_ID = required("SEAPORTAL_OIDC_CLIENT_ID", "seaportal") if OIDC_ISSUER else ""
OIDC_CLIENT_SECRET = env.str("SEAPORTAL_OIDC_CLIENT_SECRET", default="")
OIDC_NAME = required("SEAPORTAL_OIDC_NAME", "Contoso") if OIDC_ISSUER else ""  # as people know it
OIDC_TRUST_EMAIL = env.bool("SEAPORTAL_OIDC_TRUST_EMAIL", default=False)
OIDC_ONLY = env.bool("SEAPORTAL_OIDC_ONLY", default=False)
if OIDC_ONLY and not OIDC_ISSUER:
    raise ImproperlyConfigured(
        "SEAPORTAL_OIDC_ONLY takes no passwords any more, but SEAPORTAL_OIDC_ISSUER names no provider: nobody could sign in."
    )
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "sign_in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "recordings.views.errors.forged"

# --- transport and browser rules ------------------------------------------------------------------
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
if env.bool("SEAPORTAL_BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "media-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "manifest-src": ["'self'"],
    }
}

# --- language, time, files ------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
USE_THOUSAND_SEPARATOR = False
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env.str("SEAPORTAL_STATIC_ROOT", default=str(VAR / "static")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024  # 100,000 pasted file names
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"botocore": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
