"""Name pools by community, with the language spoken and, where it has one, the name's own script.
https://hl7.org/fhir/us/core/StructureDefinition-us-core-race.html"""

# ruff: noqa: RUF001 -- names stand in their own scripts
from __future__ import annotations

from dataclasses import dataclass

Race = tuple[str, str]

WHITE: Race = ("2106-3", "White")
BLACK: Race = ("2054-5", "Black or African American")
ASIAN: Race = ("2028-9", "Asian")
NATIVE_AMERICAN: Race = ("1002-5", "American Indian or Alaska Native")
PACIFIC: Race = ("2076-8", "Native Hawaiian or Other Pacific Islander")


@dataclass(frozen=True, slots=True)
class Community:
    """Names that go together; a tuple (latin, own script) names a person in both."""

    language: str
    race: Race | None
    female: tuple[str | tuple[str, str], ...]
    male: tuple[str | tuple[str, str], ...]
    families: tuple[str | tuple[str, str], ...]


ENGLISH = Community(
    "en",
    WHITE,
    ("Eleanor", "Ruth", "Abigail", "Joyce", "Megan", "Claudia", "Phoebe", "Harriet"),
    ("Walter", "Peter", "Nathan", "Gareth", "Owen", "Miles", "Theodore", "Simon"),
    ("Whitfield", "Marlowe", "Pruitt", "Ellison", "Hargrove", "Tansley", "O'Rourke", "St. Clair"),
)
SPANISH = Community(
    "es",
    WHITE,
    ("Lucía", "Inés", "Ximena", "Begoña", "Rocío", "Pilar"),
    ("Andrés", "Joaquín", "Iván", "Tomás", "Ramón", "Nicolás"),
    ("Muñoz", "Gutiérrez", "Peña", "Ibáñez", "de la Cruz", "Zúñiga"),
)
AFRICAN_AMERICAN = Community(
    "en",
    BLACK,
    ("Denise", "Keisha", "Monique", "Latoya", "Imani"),
    ("Marcus", "Terrence", "Isaiah", "Darnell", "Jerome"),
    ("Booker", "Gaines", "Mayfield", "Dupree", "Tolliver"),
)
VIETNAMESE = Community(
    "vi",
    ASIAN,
    ("Thảo", "Hương", "Ngọc", "Mai"),
    ("Dũng", "Hải", "Tuấn", "Minh"),
    ("Nguyễn", "Trần", "Phạm", "Đặng"),
)
JAPANESE = Community(
    "ja",
    ASIAN,
    (("Sakura", "桜"), ("Haruka", "遥"), ("Keiko", "恵子"), ("Aoi", "葵")),
    (("Kenji", "健二"), ("Takumi", "匠"), ("Hiroshi", "浩"), ("Ren", "蓮")),
    (("Yamada", "山田"), ("Kobayashi", "小林"), ("Nakamura", "中村"), ("Mori", "森")),
)
CHINESE = Community(
    "zh",
    ASIAN,
    (("Mei", "美"), ("Xiulan", "秀兰"), ("Ling", "玲")),
    (("Wei", "伟"), ("Jun", "军"), ("Haoran", "浩然")),
    (("Wang", "王"), ("Zhang", "张"), ("Liu", "刘")),
)
ARABIC = Community(
    "ar",
    WHITE,
    (("Layla", "ليلى"), ("Maryam", "مريم"), ("Noor", "نور")),
    (("Yusuf", "يوسف"), ("Khalid", "خالد"), ("Karim", "كريم")),
    (("Mansour", "منصور"), ("Najjar", "نجار"), ("Saleh", "صالح")),
)
UKRAINIAN = Community(
    "uk",
    WHITE,
    (("Oksana", "Оксана"), ("Halyna", "Галина"), ("Sofiia", "Софія")),
    (("Taras", "Тарас"), ("Bohdan", "Богдан"), ("Andrii", "Андрій")),
    (("Shevchuk", "Шевчук"), ("Kovalenko", "Коваленко"), ("Bondar", "Бондар")),
)
HAWAIIAN = Community(
    "en",
    PACIFIC,
    ("Leilani", "Kailani", "Nohea", "Pualani", "Mahina"),
    ("Kaleo", "Makani", "Ikaika", "Nainoa", "Keanu"),
    ("Kāneali'i", "Kawānanakoa", "Mahoe", "Pukui", "Kahananui"),
)

COMMUNITIES = {
    "riverside": (ENGLISH, SPANISH, AFRICAN_AMERICAN, SPANISH, VIETNAMESE, ENGLISH, ARABIC, UKRAINIAN, CHINESE),
    "hillside": (HAWAIIAN, JAPANESE, ENGLISH, HAWAIIAN, CHINESE, SPANISH),
}

LANGUAGES = {
    "en": "English",
    "es": "Spanish",
    "vi": "Vietnamese",
    "ja": "Japanese",
    "zh": "Chinese",
    "ar": "Arabic",
    "uk": "Ukrainian",
    "pt": "Portuguese",
}
