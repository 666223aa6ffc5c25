"""A user model of the project's own: no name, a badge."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models


class Member(AbstractBaseUser):
    """Someone of the lab."""

    badge = models.CharField(max_length=20, unique=True)

    USERNAME_FIELD = "badge"
